// create_join: make a goroutine that does nothing and wait for it, one after the other. usage: create_join [MS]
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

const batch = 1000

func main() {
	ms := 300
	if len(os.Args) > 1 {
		ms, _ = strconv.Atoi(os.Args[1])
	}
	var done sync.WaitGroup
	made := 0
	start := time.Now()
	for time.Since(start) < time.Duration(ms)*time.Millisecond {
		for i := 0; i < batch; i++ {
			done.Add(1)
			go done.Done()
			done.Wait()
		}
		made += batch
	}
	spent := time.Since(start)
	fmt.Printf("create_join %.2f ns goroutines=%d\n", float64(spent.Nanoseconds())/float64(made), made)
}
