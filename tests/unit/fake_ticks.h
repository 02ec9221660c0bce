/* fake_ticks.h - included before all else in the unit tests: the time stamp counter goes with the fake clock. */
#ifndef PRELOOM_FAKE_TICKS_H
#define PRELOOM_FAKE_TICKS_H

#include <stdint.h>

#define FAKE_TICKS_PER_USEC 2500
#define arch_cputicks fake_cputicks

uint64_t fake_cputicks(void);

#endif
