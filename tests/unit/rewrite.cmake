# The rewriter's unit tests and its benchmark; the launcher's tests.
find_package(PkgConfig REQUIRED)
pkg_check_modules(CHECK REQUIRED check)

foreach(name rewrite findlocks)
  add_executable(test_${name} ${PROJECT_SOURCE_DIR}/tests/unit/test_${name}.c)
  set_target_properties(test_${name} PROPERTIES C_STANDARD 11 C_EXTENSIONS ON)
  target_compile_definitions(test_${name} PRIVATE _GNU_SOURCE)
  target_compile_options(test_${name} PRIVATE -Wall -Wextra -Werror ${CHECK_CFLAGS_OTHER})
  target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR} ${CHECK_INCLUDE_DIRS})
  target_link_libraries(test_${name} PRIVATE preload_rewrite ${CHECK_LINK_LIBRARIES})
  add_test(NAME unit_${name} COMMAND test_${name})
  set_tests_properties(unit_${name} PROPERTIES TIMEOUT 60)
endforeach()

add_executable(rewrite_time ${PROJECT_SOURCE_DIR}/tests/bench/rewrite_time.c)
set_target_properties(rewrite_time PROPERTIES C_STANDARD 11 C_EXTENSIONS ON)
target_compile_definitions(rewrite_time PRIVATE _GNU_SOURCE)
target_compile_options(rewrite_time PRIVATE -Wall -Wextra -Werror)
target_include_directories(rewrite_time PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(rewrite_time PRIVATE preload_rewrite)

add_test(NAME launcher COMMAND ${PROJECT_SOURCE_DIR}/tests/launcher.sh $<TARGET_FILE:preloom>)
set_tests_properties(launcher PROPERTIES TIMEOUT 120)
