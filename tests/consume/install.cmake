# Installs BUILD into an empty PREFIX.
file(REMOVE_RECURSE "${PREFIX}")
execute_process(COMMAND "${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${PREFIX}"
    OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)

# The unit starts what was installed, wherever that is, with the configuration that bedsd looks for.
set(unit "${PREFIX}/lib/systemd/system/bedsd.service")
if(EXISTS "${unit}")
    file(READ "${unit}" content)
    execute_process(COMMAND "${PREFIX}/bin/bedsd" --help
        OUTPUT_VARIABLE help COMMAND_ERROR_IS_FATAL ANY)
    foreach(part "ExecStart=\"${PREFIX}/bin/bedsd\"" "${PREFIX}/share/beds/config" "/etc/beds/beds.toml")
        string(FIND "${content}" "${part}" place)
        if(place EQUAL -1)
            message(SEND_ERROR "${unit} does not name ${part}")
        endif()
    endforeach()
    if(content MATCHES "@[A-Z_]+@" OR NOT help MATCHES "[^a-z]/etc/beds/beds.toml")
        message(SEND_ERROR "${unit} or bedsd --help names no configuration")
    endif()
endif()
