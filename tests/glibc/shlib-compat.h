/* shlib-compat.h: no symbols of old versions: a program that is linked today does not get them. */
#define TEST_COMPAT(...) 0
#define SHLIB_COMPAT(...) 0
#define compat_symbol(...)
#define compat_symbol_reference(...)
