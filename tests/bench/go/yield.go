// yield: N goroutines do nothing but give way to each other. usage: yield [MS [N]]
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const batch = 256

func main() {
	ms, n := 300, 2
	if len(os.Args) > 1 {
		ms, _ = strconv.Atoi(os.Args[1])
	}
	if len(os.Args) > 2 {
		n, _ = strconv.Atoi(os.Args[2])
	}
	var stop int32
	var total int64
	var done sync.WaitGroup
	gate := make(chan bool)
	var start time.Time
	for i := 0; i < n; i++ {
		done.Add(1)
		go func() {
			<-gate
			yields := int64(0)
			for atomic.LoadInt32(&stop) == 0 {
				for i := 0; i < batch; i++ {
					runtime.Gosched()
				}
				yields += batch
				if time.Since(start) > time.Duration(ms)*time.Millisecond {
					atomic.StoreInt32(&stop, 1)
				}
			}
			atomic.AddInt64(&total, yields)
			done.Done()
		}()
	}
	start = time.Now()
	close(gate)
	done.Wait()
	spent := time.Since(start)
	fmt.Printf("yield %.2f ns goroutines=%d yields=%d\n", float64(spent.Nanoseconds())/float64(total), n, total)
}
