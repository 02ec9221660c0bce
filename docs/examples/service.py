# service.py: 200 threads that take jobs from a queue, as a Python service has.
import queue, threading, time
jobs, lock, total = queue.Queue(64), threading.Lock(), 0
def worker():
    global total
    while True:
        n = jobs.get()
        s = sum(i * i for i in range(n))
        with lock:
            total += s
def accept():
    while True:
        jobs.put(2000)
        time.sleep(0.0005)
for i in range(198):
    threading.Thread(target=worker, name=f"worker-{i}", daemon=True).start()
threading.Thread(target=accept, name="accept", daemon=True).start()
print("ready", flush=True)
time.sleep(40)
