# BEDS_SANITIZE: "", "address;undefined" or "thread". Anything else is an error, never ignored.
add_library(beds_sanitizers INTERFACE)
set(known address undefined thread)
foreach(sanitizer IN LISTS BEDS_SANITIZE)
    if(NOT sanitizer IN_LIST known)
        message(FATAL_ERROR "BEDS_SANITIZE: unknown sanitizer '${sanitizer}' (known: ${known})")
    endif()
endforeach()
if("thread" IN_LIST BEDS_SANITIZE AND "address" IN_LIST BEDS_SANITIZE)
    message(FATAL_ERROR "BEDS_SANITIZE: thread and address cannot be combined")
endif()
if(BEDS_SANITIZE)
    list(JOIN BEDS_SANITIZE "," joined)
    target_compile_options(beds_sanitizers INTERFACE
        -fsanitize=${joined} -fno-omit-frame-pointer -fno-sanitize-recover=all -g)
    # GCC looks at the instrumented code and finds variables unset that are not (Asio's use_future); builds
    # without a sanitizer keep the warning.
    target_compile_options(beds_sanitizers INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
    target_link_options(beds_sanitizers INTERFACE -fsanitize=${joined})
endif()
