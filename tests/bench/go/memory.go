// memory: KiB that each of N parked goroutines costs: resident memory, page tables, kernel. usage: memory [MS [N]]
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

func field(file, key string) float64 {
	text, _ := os.ReadFile(file)
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, key) {
			v, _ := strconv.ParseFloat(strings.Fields(line)[1], 64)
			return v
		}
	}
	return 0
}

func reading() [4]float64 {
	return [4]float64{field("/proc/self/smaps_rollup", "Rss:"), field("/proc/self/status", "VmPTE:"),
		field("/proc/meminfo", "KernelStack:"), field("/proc/meminfo", "Slab:")}
}

func main() {
	ms, n := 300, 10000
	if len(os.Args) > 1 {
		ms, _ = strconv.Atoi(os.Args[1])
	}
	if len(os.Args) > 2 {
		n, _ = strconv.Atoi(os.Args[2])
	}
	var here sync.WaitGroup
	never := make(chan bool)
	a := reading()
	for i := 0; i < n; i++ {
		here.Add(1)
		go func() {
			here.Done()
			<-never
		}()
	}
	here.Wait()
	time.Sleep(time.Duration(ms) * time.Millisecond)
	b := reading()
	total := 0.0
	for i := range b {
		b[i] = (b[i] - a[i]) / float64(n)
		total += b[i]
	}
	fmt.Printf("memory %.2f KiB goroutines=%d rss=%.2f page_tables=%.2f kernel_stack=%.2f slab=%.2f\n", total, n, b[0], b[1],
		b[2], b[3])
}
