/* config.h: what glibc's configure found; the tests need nothing of it. */
