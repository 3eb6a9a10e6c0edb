# Flags for BEDS's own sources only: an interface target that is linked PRIVATE and never exported; empty
# inside another project, whose compiler we do not know.
add_library(beds_warnings INTERFACE)
if(NOT PROJECT_IS_TOP_LEVEL)
    return()
endif()
target_compile_options(beds_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
    -Woverloaded-virtual -Wcast-align -Wold-style-cast -Wnull-dereference -Wextra-semi
    $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond -Wlogical-op>)
# g++ 12 reports false positives of this kind for inlined std::string and std::vector code at -O2.
target_compile_options(beds_warnings INTERFACE
    $<$<CXX_COMPILER_ID:GNU>:-Wno-null-dereference -Wno-restrict>)
if(BEDS_WARNINGS_AS_ERRORS)
    target_compile_options(beds_warnings INTERFACE -Werror)
endif()
