/* imports.h - what functions an object asks others for.
 */
#ifndef PRELOOM_IMPORTS_H
#define PRELOOM_IMPORTS_H

#include "object.h"

bool object_imports(const struct object *o, const char *name);

#endif
