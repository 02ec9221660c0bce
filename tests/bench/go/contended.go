// contended: N goroutines share one mutex, each with a little work inside it and a little outside.
// usage: contended [MS [N]]
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const batch = 64

//go:noinline
func work(x uint64, rounds int) uint64 {
	for i := 0; i < rounds; i++ {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

func main() {
	ms, n := 300, 100
	if len(os.Args) > 1 {
		ms, _ = strconv.Atoi(os.Args[1])
	}
	if len(os.Args) > 2 {
		n, _ = strconv.Atoi(os.Args[2])
	}
	var lock sync.Mutex
	var stop int32
	var total, most int64
	var done sync.WaitGroup
	shared := uint64(1)
	gate := make(chan bool)
	var start time.Time
	for i := 0; i < n; i++ {
		done.Add(1)
		go func(own uint64) {
			<-gate
			sections := int64(0)
			for atomic.LoadInt32(&stop) == 0 {
				for i := 0; i < batch; i++ {
					lock.Lock()
					shared = work(shared, 20)
					lock.Unlock()
					own = work(own, 60)
				}
				sections += batch
				if time.Since(start) > time.Duration(ms)*time.Millisecond {
					atomic.StoreInt32(&stop, 1)
				}
			}
			lock.Lock()
			total += sections
			if sections > most {
				most = sections
			}
			shared += own
			lock.Unlock()
			done.Done()
		}(uint64(i))
	}
	start = time.Now()
	close(gate)
	done.Wait()
	spent := time.Since(start)
	fmt.Printf("contended %.2f ns goroutines=%d sections=%d most/mean=%.1f\n", float64(spent.Nanoseconds())/float64(total),
		n, total, float64(most)*float64(n)/float64(total))
}
