# beds_precompile(TARGET KIND): the target's sources begin with the standard headers that most of them
# include anyway, parsed once. Only with BEDS_PRECOMPILE: other builds prove that every source names what it
# needs. KIND is library, bench or test (with Catch2); all targets of a kind must have the same compile options.
set(BEDS_PRECOMPILED_library
    <algorithm> <array> <atomic> <charconv> <chrono> <condition_variable> <cstdint> <functional> <map> <memory>
    <mutex> <optional> <span> <string> <string_view> <thread> <unordered_map> <utility> <variant> <vector>)
set(BEDS_PRECOMPILED_bench ${BEDS_PRECOMPILED_library})
set(BEDS_PRECOMPILED_test
    ${BEDS_PRECOMPILED_library} <filesystem> <fstream> <sstream> [["support/catch.hpp"]])

# A target of its own for each kind: a header that was precompiled with another target's macros is refused.
function(beds_precompile target kind)
    if(NOT BEDS_PRECOMPILE)
        return()
    endif()
    set(owner beds_precompiled_${kind})
    if(NOT TARGET ${owner})
        set(source "${PROJECT_BINARY_DIR}/${owner}.cpp")
        file(CONFIGURE OUTPUT "${source}" CONTENT "")
        add_library(${owner} OBJECT "${source}")
        target_compile_features(${owner} PUBLIC cxx_std_20)
        target_link_libraries(${owner} PRIVATE beds_warnings beds_sanitizers)
        target_precompile_headers(${owner} PRIVATE ${BEDS_PRECOMPILED_${kind}})
        get_target_property(pic ${target} POSITION_INDEPENDENT_CODE)
        get_target_property(options ${target} COMPILE_OPTIONS)
        set_target_properties(${owner} PROPERTIES POSITION_INDEPENDENT_CODE "${pic}")
        if(options)
            target_compile_options(${owner} PRIVATE "${options}")
        endif()
        if(kind STREQUAL test)
            target_include_directories(${owner} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
        endif()
    endif()
    target_precompile_headers(${target} REUSE_FROM ${owner})
endfunction()
