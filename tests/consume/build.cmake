# cmake -P build.cmake SOURCE BINARY [cmake arguments...]: configures afresh and builds.
set(source "${CMAKE_ARGV3}")
set(binary "${CMAKE_ARGV4}")
set(arguments "")
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE 5 ${last})
    list(APPEND arguments "${CMAKE_ARGV${i}}")
endforeach()
file(REMOVE "${binary}/CMakeCache.txt")
execute_process(COMMAND "${CMAKE_COMMAND}" -S "${source}" -B "${binary}" ${arguments}
    COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${CMAKE_COMMAND}" --build "${binary}" --parallel 2 COMMAND_ERROR_IS_FATAL ANY)
