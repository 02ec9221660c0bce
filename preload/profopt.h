/* profopt.h - profiles that PRELOOM asks for. */
#ifndef PRELOOM_PROFOPT_H
#define PRELOOM_PROFOPT_H

void profopt_start(void); /* at activation */

#endif
