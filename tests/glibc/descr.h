/* descr.h: the thread descriptor; see pthreadP.h. */
#include <pthreadP.h>
