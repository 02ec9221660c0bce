// cxx_thread.cc: std::thread, std::mutex, std::condition_variable, std::async, promise and future, packaged_task.
#include "check.h"
#include <condition_variable>
#include <deque>
#include <future>
#include <iostream>
#include <mutex>
#include <numeric>
#include <thread>
#include <vector>

template <typename T> class Channel {
public:
    void put(T value)
    {
        std::lock_guard<std::mutex> guard(mutex_);
        values_.push_back(std::move(value));
        changed_.notify_one();
    }

    T get()
    {
        std::unique_lock<std::mutex> guard(mutex_);
        changed_.wait(guard, [this] { return !values_.empty(); });
        T value = std::move(values_.front());
        values_.pop_front();
        return value;
    }

    bool get_for(T &value, std::chrono::milliseconds time)
    {
        std::unique_lock<std::mutex> guard(mutex_);
        if (!changed_.wait_for(guard, time, [this] { return !values_.empty(); }))
            return false;
        value = std::move(values_.front());
        values_.pop_front();
        return true;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<T> values_;
};

static void channels()
{
    Channel<std::string> in, out;
    std::vector<std::thread> threads;
    for (int i = 0; i < 16; i++)
        threads.emplace_back([&] {
            for (std::string s; !(s = in.get()).empty();)
                out.put(s + s);
        });
    for (int i = 0; i < 1000; i++)
        in.put(std::to_string(i));
    for (int i = 0; i < 16; i++)
        in.put("");
    long length = 0;
    for (int i = 0; i < 1000; i++)
        length += static_cast<long>(out.get().size());
    for (auto &t : threads)
        t.join();
    std::string none;
    auto before = std::chrono::steady_clock::now();
    CHECK(!out.get_for(none, std::chrono::milliseconds(10)));
    CHECK(std::chrono::steady_clock::now() - before >= std::chrono::milliseconds(10));
    std::cout << "channels " << length << '\n';
}

static void futures()
{
    std::vector<std::future<long>> results;
    for (int i = 0; i < 50; i++)
        results.push_back(std::async(std::launch::async, [i] {
            std::vector<long> v(static_cast<size_t>(i));
            std::iota(v.begin(), v.end(), 1L);
            std::this_thread::yield();
            return std::accumulate(v.begin(), v.end(), 0L);
        }));
    long sum = 0;
    for (auto &f : results)
        sum += f.get();
    std::promise<void> go;
    auto gone = go.get_future();
    auto slow = std::async(std::launch::async, [&] { gone.wait(); });
    CHECK(slow.wait_for(std::chrono::milliseconds(1)) == std::future_status::timeout);
    go.set_value();
    slow.get();

    std::promise<int> promise;
    std::shared_future<int> shared = promise.get_future().share();
    std::vector<std::thread> threads;
    std::atomic<int> seen{0};
    for (int i = 0; i < 10; i++)
        threads.emplace_back([&, shared] { seen += shared.get(); });
    promise.set_value(7);
    for (auto &t : threads)
        t.join();

    std::packaged_task<int(int)> task([](int x) { return x * x; });
    auto squared = task.get_future();
    std::thread(std::move(task), 12).join();
    std::cout << "futures " << sum << ' ' << seen << ' ' << squared.get() << '\n';
}

static void sleeps_and_ids()
{
    auto before = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    std::this_thread::sleep_until(before + std::chrono::milliseconds(6));
    CHECK(std::chrono::steady_clock::now() - before >= std::chrono::milliseconds(6));
    std::thread::id id;
    std::thread t([&] { id = std::this_thread::get_id(); });
    CHECK(t.get_id() != std::this_thread::get_id());
    auto known = t.get_id();
    t.join();
    CHECK(id == known && std::thread::hardware_concurrency() > 0);
    std::recursive_timed_mutex m;
    m.lock();
    m.lock();
    std::thread([&] { CHECK(!m.try_lock_for(std::chrono::milliseconds(5))); }).join();
    m.unlock();
    m.unlock();
    std::cout << "sleeps\n";
}

int main()
{
    channels();
    futures();
    sleeps_and_ids();
}
