// blocked_readers: N goroutines are blocked in Read of a pipe each, while two others compute.
// usage: blocked_readers [ROUNDS [N]]
package main

import (
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

var sink uint64

func compute(rounds int, done *sync.WaitGroup) {
	x := uint64(1)
	for i := 0; i < rounds*1000; i++ {
		x = x*6364136223846793005 + 1
		sink = x // as the volatile of the C program: one store a round
	}
	done.Done()
}

func main() {
	rounds, n := 60000, 1000
	if len(os.Args) > 1 {
		rounds, _ = strconv.Atoi(os.Args[1])
	}
	if len(os.Args) > 2 {
		n, _ = strconv.Atoi(os.Args[2])
	}
	var readers, computing sync.WaitGroup
	writers := make([]*os.File, n)
	for i := range writers {
		r, w, err := os.Pipe()
		if err != nil {
			log.Fatal(err)
		}
		writers[i] = w
		readers.Add(1)
		go func() {
			b := make([]byte, 1)
			if k, err := r.Read(b); k != 1 {
				log.Fatal(err)
			}
			readers.Done()
		}()
	}
	time.Sleep(20 * time.Millisecond)
	start := time.Now()
	computing.Add(2)
	go compute(rounds, &computing)
	go compute(rounds, &computing)
	computing.Wait()
	computed := time.Now()
	for _, w := range writers {
		w.Write([]byte{'x'})
	}
	readers.Wait()
	released := time.Since(computed)
	status, _ := os.ReadFile("/proc/self/status")
	threads := "?"
	for _, line := range strings.Split(string(status), "\n") {
		if strings.HasPrefix(line, "Threads:") {
			threads = strings.Fields(line)[1]
		}
	}
	fmt.Printf("blocked_readers %.2f ms readers=%d kernel_threads=%s release_us=%d\n",
		float64(computed.Sub(start).Nanoseconds())/1e6, n, threads, released.Microseconds())
}
