/* start_nothread.c: a program that makes no thread; startup.c starts it. */
int main(void) { return 0; }
