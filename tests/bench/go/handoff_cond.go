// handoff_cond: two goroutines pass a turn to and fro through one sync.Cond. usage: handoff_cond [MS]
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

const batch = 1000

var (
	lock    sync.Mutex
	changed = sync.NewCond(&lock)
	turn    int
)

func pass(me int) {
	lock.Lock()
	for turn != me {
		changed.Wait()
	}
	turn = 1 - me
	changed.Signal()
	lock.Unlock()
}

func main() {
	ms := 300
	if len(os.Args) > 1 {
		ms, _ = strconv.Atoi(os.Args[1])
	}
	go func() {
		for {
			pass(1)
		}
	}()
	rounds := 0
	start := time.Now()
	for time.Since(start) < time.Duration(ms)*time.Millisecond {
		for i := 0; i < batch; i++ {
			pass(0)
		}
		rounds += batch
	}
	spent := time.Since(start)
	fmt.Printf("handoff_cond %.2f ns rounds=%d\n", float64(spent.Nanoseconds())/float64(2*rounds), rounds)
}
