# cmake --install: headers, libraries, documents, and the package that find_package(beds) reads.
#
# Every room is a component with an export file of its own, so that a client of AMQP needs no database
# library. What a room needs is taken from what it links: a dependency cannot be forgotten.
option(BEDS_INSTALL "Install BEDS together with the project that it is part of" ${PROJECT_IS_TOP_LEVEL})
set(BEDS_INSTALL_CMAKEDIR "${CMAKE_INSTALL_LIBDIR}/cmake/beds" CACHE STRING
    "Where the CMake package goes, relative to the prefix")
if(NOT BEDS_INSTALL)
    return()
endif()

# find_package arguments that make an imported target; to be extended with every new dependency.
set(beds_find_Threads::Threads "Threads")
set(beds_find_Boost::headers "Boost 1.75")
set(beds_find_Boost::json "Boost 1.75 COMPONENTS json")
set(beds_find_OpenSSL::Crypto "OpenSSL")
set(beds_find_prometheus-cpp::core "prometheus-cpp")
set(beds_find_RabbitmqC::RabbitmqC "RabbitmqC")
set(beds_find_MariaDB::connector "MariaDB")
set(beds_find_mongo::mongoc_shared "mongoc-1.0 1.17")
set(beds_find_mongoc::mongoc "mongoc")

get_property(rooms GLOBAL PROPERTY BEDS_ROOMS)
# All that `cmake --install` takes, without tests and benches.
add_custom_target(beds_package)
foreach(target IN LISTS rooms)
    add_dependencies(beds_package beds_${target})
endforeach()
if(TARGET bedsd)
    add_dependencies(beds_package bedsd bedsctl)
endif()
set(BEDS_PACKAGE_ROOMS "")
foreach(room IN LISTS rooms)
    install(TARGETS beds_${room} EXPORT beds_${room}_export
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT libbeds
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libbeds NAMELINK_COMPONENT libbeds-dev
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libbeds-dev
        FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT libbeds-dev)
    install(EXPORT beds_${room}_export FILE beds-${room}.cmake NAMESPACE beds::
        DESTINATION "${BEDS_INSTALL_CMAKEDIR}" COMPONENT libbeds-dev)

    get_property(links GLOBAL PROPERTY BEDS_LINKS_${room})
    set(needs "")
    set(finds "")
    foreach(link IN LISTS links)
        if(link MATCHES "^beds(::|_)(.+)$")
            list(APPEND needs ${CMAKE_MATCH_2})
        elseif(DEFINED beds_find_${link})
            list(APPEND finds "${beds_find_${link}}")
        else()
            message(FATAL_ERROR "${room} links ${link}: say in BedsPackage.cmake how consumers find it")
        endif()
    endforeach()
    list(REMOVE_DUPLICATES needs)
    list(REMOVE_DUPLICATES finds)
    string(APPEND BEDS_PACKAGE_ROOMS
        "list(APPEND _beds_rooms ${room})\n"
        "set(_beds_needs_${room} \"${needs}\")\n"
        "set(_beds_finds_${room} \"${finds}\")\n")
endforeach()

include(CMakePackageConfigHelpers)
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/bedsConfig.cmake.in"
    "${CMAKE_CURRENT_BINARY_DIR}/bedsConfig.cmake"
    INSTALL_DESTINATION "${BEDS_INSTALL_CMAKEDIR}"
    NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/bedsConfigVersion.cmake"
    COMPATIBILITY SameMajorVersion)
install(
    FILES
        "${CMAKE_CURRENT_BINARY_DIR}/bedsConfig.cmake"
        "${CMAKE_CURRENT_BINARY_DIR}/bedsConfigVersion.cmake"
        "${CMAKE_CURRENT_LIST_DIR}/FindRabbitmqC.cmake"
    DESTINATION "${BEDS_INSTALL_CMAKEDIR}" COMPONENT libbeds-dev)
if(TARGET beds_mariadb)
    install(FILES "${CMAKE_CURRENT_LIST_DIR}/FindMariaDB.cmake" DESTINATION "${BEDS_INSTALL_CMAKEDIR}"
        COMPONENT libbeds-dev)
    install(DIRECTORY libbeds/sql/mariadb DESTINATION ${CMAKE_INSTALL_DATADIR}/beds/sql COMPONENT libbeds)
endif()
if(TARGET beds_mongodb)
    install(DIRECTORY libbeds/sql/mongodb DESTINATION ${CMAKE_INSTALL_DATADIR}/beds/sql COMPONENT libbeds)
endif()
install(DIRECTORY libbeds/doc/ DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT libbeds)
# For clients in other languages: schemas, and vectors that their tests can run through.
install(DIRECTORY libbeds/protocol DESTINATION ${CMAKE_INSTALL_DATADIR}/beds COMPONENT libbeds)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT libbeds)

# Programs find shared libraries of BEDS where they were installed together.
if(BUILD_SHARED_LIBS AND NOT DEFINED CMAKE_INSTALL_RPATH)
    foreach(program bedsd bedsctl)
        if(TARGET ${program})
            file(RELATIVE_PATH libraries "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_FULL_LIBDIR}")
            set_target_properties(${program} PROPERTIES INSTALL_RPATH "$ORIGIN/${libraries}")
        endif()
    endforeach()
endif()
