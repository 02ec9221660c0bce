// beside: a goroutine reads what another process writes to a pipe, while others compute or hand off by channels; median ns from
// write to read.
// usage: beside [MS [N [PAIRS]]]
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"sort"
	"strconv"
	"time"
	"unsafe"

	"syscall"
)

const everyUs = 10000

func now() uint64 {
	var t syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, 1, uintptr(unsafe.Pointer(&t)), 0)
	return uint64(t.Nano())
}

var computed uint64

func compute(x uint64) {
	for {
		for i := 0; i < 1000; i++ {
			x = x*6364136223846793005 + x>>33
		}
		computed = x
	}
}

func handOff() {
	a, b := make(chan int), make(chan int)
	go func() {
		for {
			b <- <-a
		}
	}()
	for {
		a <- 1
		<-b
	}
}

func writeTimes(n int) {
	var b [8]byte
	for i := 0; i < n; i++ {
		time.Sleep(time.Duration(everyUs+i*7919%5000) * time.Microsecond)
		binary.LittleEndian.PutUint64(b[:], now())
		os.Stdout.Write(b[:])
	}
}

func main() {
	args := []int{300, 3, 0}
	for i := range args {
		if len(os.Args) > i+1 {
			args[i], _ = strconv.Atoi(os.Args[i+1])
		}
	}
	n := args[0] * 1000 / everyUs
	if n < 1 {
		n = 1
	}
	if os.Getenv("BESIDE_WRITER") != "" {
		writeTimes(n)
		return
	}
	r, w, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	writer := exec.Command(os.Args[0], os.Args[1:]...)
	writer.Env = append(os.Environ(), "BESIDE_WRITER=1")
	writer.Stdout = w
	if err := writer.Start(); err != nil {
		panic(err)
	}
	w.Close()
	for i := 0; i < args[1]; i++ {
		go compute(uint64(i))
	}
	for i := 0; i < args[2]; i++ {
		go handOff()
	}
	var late []uint64
	var b [8]byte
	for {
		if k, err := r.Read(b[:]); k != 8 || err != nil {
			break
		}
		late = append(late, now()-binary.LittleEndian.Uint64(b[:]))
	}
	writer.Wait()
	sort.Slice(late, func(i, j int) bool { return late[i] < late[j] })
	fmt.Printf("beside %.2f ns threads=%d pairs=%d reads=%d p90_us=%.0f max_us=%.0f\n", float64(late[len(late)/2]), args[1], args[2],
		len(late), float64(late[len(late)*9/10])/1e3, float64(late[len(late)-1])/1e3)
}
