/* obstacle.h - can a program be preloaded?
 */
#ifndef PRELOOM_OBSTACLE_H
#define PRELOOM_OBSTACLE_H

#include <stdbool.h>

const char *find_obstacle(const char *path); /* why preloading will not work for it, or NULL */
bool is_elf(const char *path);

#endif
