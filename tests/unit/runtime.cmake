# The runtime's unit tests: test_NAME.c each makes a program, linked to the runtime's objects and to a fake kernel.
# The objects are an archive: what a fake defines is not taken from it.
file(GLOB UNIT_RUNTIME CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/runtime/*.c ${PROJECT_SOURCE_DIR}/runtime/arch/x86_64/*.c)
list(FILTER UNIT_RUNTIME EXCLUDE REGEX "/runtime/(mem|os_linux[a-z_]*)\\.c$")
set(UNIT_FLAGS -D_GNU_SOURCE -Wall -Wextra -Werror -fno-common)
set(UNIT_TICKS -include ${CMAKE_CURRENT_SOURCE_DIR}/fake_ticks.h)
set(UNIT_SANITIZE)
if(PRELOOM_SANITIZE)
  # Checks that cost too much in a release: the ranks of locks.
  set(UNIT_SANITIZE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DPRELOOM_DEBUG)
endif()

add_library(unit_runtime STATIC ${UNIT_RUNTIME})
add_library(unit_fake OBJECT fake_os.c fake_arch.c unit.c)
add_library(unit_fake_sig OBJECT fake_sig.c)
add_library(unit_fake_net OBJECT fake_net.c)
foreach(target unit_runtime unit_fake unit_fake_sig unit_fake_net)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/runtime ${PROJECT_SOURCE_DIR}/runtime/arch/x86_64
    ${CMAKE_CURRENT_SOURCE_DIR} ${CHECK_INCLUDE_DIRS})
  target_compile_options(${target} PRIVATE ${UNIT_FLAGS} ${UNIT_SANITIZE} ${UNIT_TICKS})
endforeach()
target_compile_definitions(unit_runtime PRIVATE PRELOOM_VERSION="test")
target_compile_options(unit_runtime PRIVATE -ffreestanding -fno-stack-protector)

# add_unit(NAME [SOURCE...] [FAKES LIBRARY...] [WRAP SYMBOL...]): the program test_NAME and the test unit_NAME.
function(add_unit name)
  cmake_parse_arguments(UNIT "" "" "FAKES;WRAP" ${ARGN})
  add_executable(test_${name} test_${name}.c ${UNIT_UNPARSED_ARGUMENTS})
  target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR}/runtime
    ${PROJECT_SOURCE_DIR}/runtime/arch/x86_64 ${PROJECT_SOURCE_DIR}/preload ${CMAKE_CURRENT_SOURCE_DIR}
    ${CHECK_INCLUDE_DIRS})
  target_compile_options(test_${name} PRIVATE ${UNIT_FLAGS} ${UNIT_SANITIZE})
  if(UNIT_FAKES)
    target_compile_options(test_${name} PRIVATE ${UNIT_TICKS})
  endif()
  target_link_options(test_${name} PRIVATE ${UNIT_SANITIZE})
  foreach(symbol ${UNIT_WRAP})
    target_link_options(test_${name} PRIVATE -Wl,--wrap=${symbol})
  endforeach()
  foreach(fake ${UNIT_FAKES})
    target_sources(test_${name} PRIVATE $<TARGET_OBJECTS:${fake}>)
  endforeach()
  if(UNIT_FAKES)
    target_link_libraries(test_${name} PRIVATE unit_runtime)
  endif()
  target_link_libraries(test_${name} PRIVATE ${CHECK_LINK_LIBRARIES})
  add_test(NAME unit_${name} COMMAND test_${name})
  set_tests_properties(unit_${name} PROPERTIES TIMEOUT 120)
endfunction()

# The rules of the scheduler, then the rest.
set(UNIT_TESTS rule01_local rule02_overflow rule03_tick rule04_order rule05_steal rule06_wake rule07_syscall rule08_sysmon
    rule09_preempt rule10_bound rule11_reuse turns
    spin lost cputime park prof objtab timer futex futex_ops futex_pi g stack stack_ahead lock resize narrow smplocks simulation tracebuf)
foreach(name ${UNIT_TESTS})
  add_unit(${name} FAKES unit_fake unit_fake_sig unit_fake_net)
endforeach()

add_unit(options ${PROJECT_SOURCE_DIR}/preload/options.c WRAP open sched_getaffinity)
# With the real signal layer.
add_unit(rule09_handler FAKES unit_fake unit_fake_net)
add_unit(signal_left FAKES unit_fake unit_fake_net)
# Beside its oracle. Not in sanitizer builds: their checks would be stepped through too.
find_library(UNWIND_LIB unwind)
if(UNWIND_LIB AND NOT PRELOOM_SANITIZE)
  add_unit(unwind unwind_cxx.cc FAKES unit_fake unit_fake_sig unit_fake_net)
  target_link_libraries(test_unwind PRIVATE gcc_s ${UNWIND_LIB}) # C++ exceptions: libgcc's unwinder, not libunwind's
  add_executable(unwind_time EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/tests/bench/unwind_time.c
    $<TARGET_OBJECTS:unit_fake> $<TARGET_OBJECTS:unit_fake_sig> $<TARGET_OBJECTS:unit_fake_net>)
  target_include_directories(unwind_time PRIVATE ${PROJECT_SOURCE_DIR}/runtime ${PROJECT_SOURCE_DIR}/runtime/arch/x86_64
    ${CMAKE_CURRENT_SOURCE_DIR})
  target_compile_options(unwind_time PRIVATE ${UNIT_FLAGS} ${UNIT_TICKS})
  target_link_libraries(unwind_time PRIVATE unit_runtime ${UNWIND_LIB} ${CHECK_LINK_LIBRARIES})
endif()
