/* loaded.h - tells the runtime what code is loaded.
 */
#ifndef PRELOOM_LOADED_H
#define PRELOOM_LOADED_H

#include "object.h"

/* Called after each change of the list, signals blocked. */
void loaded_changed(const struct object_list *l);

#endif
