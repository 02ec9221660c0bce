// sleepers: N goroutines, each in a loop of time.Sleep; CPU nanoseconds per sleep. usage: sleepers [MS [N [SLEEP_MS]]]
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func cpu() int64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

func main() {
	args := []int{300, 10000, 10}
	for i := range args {
		if len(os.Args) > i+1 {
			args[i], _ = strconv.Atoi(os.Args[i+1])
		}
	}
	n, ms := args[1], args[2]
	each := args[0] / ms
	var late int64
	var done sync.WaitGroup
	gate := make(chan bool)
	for i := 0; i < n; i++ {
		length := time.Duration(ms*500+i*997%(ms*1000)) * time.Microsecond
		done.Add(1)
		go func() {
			<-gate
			start := time.Now()
			for i := 0; i < each; i++ {
				time.Sleep(length)
			}
			atomic.AddInt64(&late, int64(time.Since(start)-time.Duration(each)*length))
			done.Done()
		}()
	}
	cpu0, start := cpu(), time.Now()
	close(gate)
	done.Wait()
	spent, wall, sleeps := cpu()-cpu0, time.Since(start), float64(n*each)
	fmt.Printf("sleepers %.2f ns goroutines=%d sleeps_each=%d cpu=%.0f%% late_us=%.0f\n", float64(spent)/sleeps, n, each,
		100*float64(spent)/float64(wall), float64(late)/sleeps/1000)
}
