/* dso_handle.h: the object's own handle, from the compiler's start files. */
extern void *__dso_handle;
