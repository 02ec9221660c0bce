/* profopt.h - profiles that PRELOOM asks for. */
#ifndef PRELOOM_PROFOPT_H
#define PRELOOM_PROFOPT_H

void profopt_start(void); /* at activation */

/* Opens a file that an option names, for a report at the end. Its descriptor, out of the program's way, or -1 after a line
 * that says why. path: room for OPTION_FILE_LEN; the name as it was opened. */
#define OPTION_FILE_LEN 4096
int option_file(const char *key, const char *name, unsigned len, char *path);

#endif
