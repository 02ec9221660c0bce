/* wrapped.cc: threads that a library makes on somebody's behalf: std::thread, with a function, a lambda and a member; OpenMP; and
 * one that the program makes by itself. All wait for ever. */
#include <condition_variable>
#include <mutex>
#include <pthread.h>
#include <stdio.h>
#include <thread>

static std::mutex m;
static std::condition_variable c;
static int arrived;

static void waits(const char *name)
{
	std::unique_lock<std::mutex> l(m);
	pthread_setname_np(pthread_self(), name);
	arrived++;
	c.notify_all();
	for (;;)
		c.wait(l);
}

struct Worker {
	std::thread t;
	void run(int) { waits("member"); }
	void make() { t = std::thread(&Worker::run, this, 3); }
};

static void *plain(void *)
{
	waits("plain");
	return nullptr;
}

__attribute__((noinline)) static void parallel()
{
#pragma omp parallel num_threads(2)
	waits("openmp");
}

int main()
{
	Worker w;
	pthread_t t;
	std::thread function(waits, "function"), lambda([] { waits("lambda"); });
	w.make();
	pthread_create(&t, nullptr, plain, nullptr);
	std::thread teller([] {
		std::unique_lock<std::mutex> l(m);
		c.wait(l, [] { return arrived == 6; });
		puts("ready");
		fflush(stdout);
		for (;;)
			c.wait(l);
	});
	parallel();
}
