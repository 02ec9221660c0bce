// handoff_pipe: two goroutines pass one byte to and fro through two pipes. usage: handoff_pipe [MS]
package main

import (
	"fmt"
	"log"
	"os"
	"strconv"
	"time"
)

const batch = 200

func main() {
	ms := 300
	if len(os.Args) > 1 {
		ms, _ = strconv.Atoi(os.Args[1])
	}
	pingR, pingW, err := os.Pipe()
	if err != nil {
		log.Fatal(err)
	}
	pongR, pongW, err := os.Pipe()
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		b := make([]byte, 1)
		for {
			if _, err := pingR.Read(b); err != nil {
				return
			}
			pongW.Write(b)
		}
	}()
	rounds := 0
	b := []byte{'x'}
	start := time.Now()
	for time.Since(start) < time.Duration(ms)*time.Millisecond {
		for i := 0; i < batch; i++ {
			if _, err := pingW.Write(b); err != nil {
				log.Fatal(err)
			}
			if _, err := pongR.Read(b); err != nil {
				log.Fatal(err)
			}
		}
		rounds += batch
	}
	spent := time.Since(start)
	fmt.Printf("handoff_pipe %.2f ns rounds=%d\n", float64(spent.Nanoseconds())/float64(2*rounds), rounds)
}
