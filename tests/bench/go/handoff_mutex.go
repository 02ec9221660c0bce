// handoff_mutex: two goroutines walk round a ring of three mutexes, hand over hand. usage: handoff_mutex [MS]
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

const batch = 1000

var ring [3]sync.Mutex

func step(held int) int {
	next := (held + 1) % 3
	ring[next].Lock()
	ring[held].Unlock()
	return next
}

func main() {
	ms := 300
	if len(os.Args) > 1 {
		ms, _ = strconv.Atoi(os.Args[1])
	}
	ready := make(chan bool)
	ring[0].Lock()
	go func() {
		held := 1
		ring[held].Lock()
		ready <- true
		for {
			held = step(held)
		}
	}()
	<-ready
	held, steps := 0, 0
	start := time.Now()
	for time.Since(start) < time.Duration(ms)*time.Millisecond {
		for i := 0; i < batch; i++ {
			held = step(held)
		}
		steps += batch
	}
	spent := time.Since(start)
	fmt.Printf("handoff_mutex %.2f ns steps=%d\n", float64(spent.Nanoseconds())/float64(2*steps), steps)
}
