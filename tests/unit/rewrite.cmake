# The rewriter's unit tests and its benchmark; the launcher's tests.
find_package(PkgConfig REQUIRED)
pkg_check_modules(CHECK REQUIRED check)

add_executable(test_rewrite ${PROJECT_SOURCE_DIR}/tests/unit/test_rewrite.c)
set_target_properties(test_rewrite PROPERTIES C_STANDARD 11 C_EXTENSIONS ON)
target_compile_definitions(test_rewrite PRIVATE _GNU_SOURCE)
target_compile_options(test_rewrite PRIVATE -Wall -Wextra -Werror ${CHECK_CFLAGS_OTHER})
target_include_directories(test_rewrite PRIVATE ${PROJECT_SOURCE_DIR} ${CHECK_INCLUDE_DIRS})
target_link_libraries(test_rewrite PRIVATE preload_rewrite ${CHECK_LINK_LIBRARIES})
add_test(NAME unit_rewrite COMMAND test_rewrite)
set_tests_properties(unit_rewrite PROPERTIES TIMEOUT 60)

add_executable(rewrite_time ${PROJECT_SOURCE_DIR}/tests/bench/rewrite_time.c)
set_target_properties(rewrite_time PROPERTIES C_STANDARD 11 C_EXTENSIONS ON)
target_compile_definitions(rewrite_time PRIVATE _GNU_SOURCE)
target_compile_options(rewrite_time PRIVATE -Wall -Wextra -Werror)
target_include_directories(rewrite_time PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(rewrite_time PRIVATE preload_rewrite)

add_test(NAME launcher COMMAND ${PROJECT_SOURCE_DIR}/tests/launcher.sh $<TARGET_FILE:preloom>)
set_tests_properties(launcher PROPERTIES TIMEOUT 120)
