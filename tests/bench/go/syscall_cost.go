// syscall_cost: a system call that the scheduler is told of (zero), one that it is not told of (raw).
// usage: syscall_cost MS raw|zero
package main

import (
	"fmt"
	"log"
	"os"
	"strconv"
	"syscall"
	"time"
)

const batch = 1000

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: syscall_cost MS raw|zero")
	}
	ms, _ := strconv.Atoi(os.Args[1])
	fd, err := syscall.Open("/dev/zero", syscall.O_RDONLY, 0)
	if err != nil {
		log.Fatal(err)
	}
	b := make([]byte, 1)
	call := func() { syscall.RawSyscall(syscall.SYS_GETPPID, 0, 0, 0) }
	if os.Args[2] == "zero" {
		call = func() { syscall.Read(fd, b) }
	}
	calls, best := 0, time.Hour // the fastest batch counts, as in the C program
	start := time.Now()
	for time.Since(start) < time.Duration(ms)*time.Millisecond {
		before := time.Now()
		for i := 0; i < batch; i++ {
			call()
		}
		if d := time.Since(before); d < best {
			best = d
		}
		calls += batch
	}
	fmt.Printf("syscall_cost %.2f ns kind=%s calls=%d\n", float64(best.Nanoseconds())/batch, os.Args[2], calls)
}
