# beds_test_needs(LABELS label... [TARGETS target...]): what the tests with these labels need to be built.
# The target beds_tests_LABEL builds it; `tests/run LABEL` builds nothing else. beds_add_test calls this.
function(beds_test_needs)
    cmake_parse_arguments(arg "" "" "LABELS;TARGETS" ${ARGN})
    foreach(label IN LISTS arg_LABELS)
        if(NOT TARGET beds_tests_${label})
            add_custom_target(beds_tests_${label})
        endif()
        if(arg_TARGETS)
            add_dependencies(beds_tests_${label} ${arg_TARGETS})
        endif()
    endforeach()
endfunction()

function(beds_test_may_skip name)
    get_test_property(${name} LABELS labels)
    if(NOT labels MATCHES "(^|;)(unit|contract|headers|lint)(;|$)")
        set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77)
    endif()
endfunction()

# beds_add_test(NAME name SOURCES ... LINK ... LABELS ... [TIMEOUT seconds] [TIMED])
#
# TIMED: it waits and measures times; what computes goes before it.
# One test program (Catch2) and its CTest entry. A program that needs a server which is not there
# exits with 77: a visible skip, or a failure when BEDS_REQUIRE_SERVERS=1 (tests/support/servers.hpp).
# A failure, too, with the labels of `tests/run --quick`, which starts no server.
function(beds_add_test)
    cmake_parse_arguments(arg "TIMED" "NAME;TIMEOUT" "SOURCES;LINK;LABELS;ARGS" ${ARGN})
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "beds_add_test(${arg_NAME}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
    endif()
    add_executable(${arg_NAME} ${arg_SOURCES})
    target_include_directories(${arg_NAME} PRIVATE "${PROJECT_SOURCE_DIR}/tests" "${BEDS_SOURCE_DIR}")
    target_link_libraries(${arg_NAME} PRIVATE ${arg_LINK} beds_test_main beds_warnings beds_sanitizers)
    # Half of a cold build is tests, and what they test is optimised all the same.
    target_compile_options(${arg_NAME} PRIVATE "$<$<CONFIG:RelWithDebInfo>:-O0>")
    beds_precompile(${arg_NAME} test)
    beds_test_needs(LABELS ${arg_LABELS} TARGETS ${arg_NAME})
    add_test(NAME ${arg_NAME} COMMAND ${arg_NAME} ${arg_ARGS})
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 300)
    endif()
    set_tests_properties(${arg_NAME} PROPERTIES
        LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT})
    beds_test_may_skip(${arg_NAME})
    if(arg_TIMED)
        set_tests_properties(${arg_NAME} PROPERTIES COST -1)
    endif()
endfunction()

# beds_add_test_again(NAME name TEST program ENVIRONMENT VAR=value... LABELS ... [TIMEOUT seconds])
#
# The same test program a second time, in another setting.
function(beds_add_test_again)
    cmake_parse_arguments(arg "" "NAME;TEST;TIMEOUT" "ENVIRONMENT;LABELS" ${ARGN})
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "beds_add_test_again(${arg_NAME}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
    endif()
    beds_test_needs(LABELS ${arg_LABELS} TARGETS ${arg_TEST})
    add_test(NAME ${arg_NAME} COMMAND ${arg_TEST})
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 120)
    endif()
    set_tests_properties(${arg_NAME} PROPERTIES
        LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT} ENVIRONMENT "${arg_ENVIRONMENT}")
    beds_test_may_skip(${arg_NAME})
endfunction()
