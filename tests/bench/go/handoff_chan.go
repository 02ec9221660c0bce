// handoff_chan: two goroutines pass a turn to and fro through two unbuffered channels. usage: handoff_chan [MS]
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

const batch = 1000

func main() {
	ms := 300
	if len(os.Args) > 1 {
		ms, _ = strconv.Atoi(os.Args[1])
	}
	ping, pong := make(chan struct{}), make(chan struct{})
	go func() {
		for range ping {
			pong <- struct{}{}
		}
	}()
	rounds := 0
	start := time.Now()
	for time.Since(start) < time.Duration(ms)*time.Millisecond {
		for i := 0; i < batch; i++ {
			ping <- struct{}{}
			<-pong
		}
		rounds += batch
	}
	spent := time.Since(start)
	fmt.Printf("handoff_chan %.2f ns rounds=%d\n", float64(spent.Nanoseconds())/float64(2*rounds), rounds)
}
