/* command.h - the sub-commands of preloom-inspect. argv[0] is the sub-command's name. */
#ifndef PRELOOM_COMMAND_H
#define PRELOOM_COMMAND_H

#define EXIT_USAGE 2

int cmd_dump(int argc, char **argv);

#endif
