// alive: N goroutines are made, all alive at the same time, then released and waited for. usage: alive [MS [N]]
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

func main() {
	n := 10000
	if len(os.Args) > 2 {
		n, _ = strconv.Atoi(os.Args[2])
	}
	var lock sync.Mutex
	allHere, release := sync.NewCond(&lock), sync.NewCond(&lock)
	arrived, released := 0, false
	var done sync.WaitGroup

	start := time.Now()
	for i := 0; i < n; i++ {
		done.Add(1)
		go func() {
			lock.Lock()
			if arrived++; arrived == n {
				allHere.Signal()
			}
			for !released {
				release.Wait()
			}
			lock.Unlock()
			done.Done()
		}()
	}
	made := time.Now()
	lock.Lock()
	for arrived < n {
		allHere.Wait()
	}
	released = true
	release.Broadcast()
	lock.Unlock()
	done.Wait()
	end := time.Now()
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(n) }
	fmt.Printf("alive %.2f ns goroutines=%d make=%.0f rest=%.0f\n", each(end.Sub(start)), n, each(made.Sub(start)),
		each(end.Sub(made)))
}
