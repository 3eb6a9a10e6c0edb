file(GLOB_RECURSE files
    "${CPACK_TEMPORARY_INSTALL_DIRECTORY}/*/usr/share/man/man*/*"
    "${CPACK_TEMPORARY_INSTALL_DIRECTORY}/*/usr/share/doc/*/changelog")
foreach(file IN LISTS files)
    if(NOT file MATCHES "\\.gz$")
        execute_process(COMMAND gzip -9nf "${file}" COMMAND_ERROR_IS_FATAL ANY)
    endif()
endforeach()
