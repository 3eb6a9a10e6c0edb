# `cpack -G DEB` in a build tree makes libbeds (documents, SQL, protocol; the libraries when they are
# shared), libbeds-dev and bedsd (with bedsctl, unit, account, manual pages). For packages to install, take
# the preset `deb`: optimised, shared, for /usr.
if(NOT PROJECT_IS_TOP_LEVEL OR NOT BEDS_INSTALL OR NOT TARGET bedsd)
    return()
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME beds)
set(CPACK_PACKAGE_VERSION "${beds_VERSION}")
set(CPACK_PACKAGE_VENDOR "BEDS")
set(CPACK_PACKAGE_CONTACT "BEDS <beds@localhost>" CACHE STRING "Maintainer that the packages name")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${beds_DESCRIPTION}")
# The unit names absolute paths: the place at which it is packed must not get in.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL libbeds libbeds-dev bedsd)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_LIBBEDS-DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_LIBBEDS_PACKAGE_SECTION libs)
foreach(package libbeds libbeds-dev bedsd)
    string(TOUPPER ${package} upper)
    set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${package})
    install(FILES "${CMAKE_CURRENT_LIST_DIR}/deb/copyright" DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package}
        COMPONENT ${package} EXCLUDE_FROM_ALL)
    install(FILES CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package}
        RENAME changelog COMPONENT ${package} EXCLUDE_FROM_ALL)
endforeach()
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Our own libraries are found where they were built; they are in libbeds of the same version.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS "")
get_property(rooms GLOBAL PROPERTY BEDS_ROOMS)
foreach(room IN LISTS rooms)
    get_target_property(folder beds_${room} BINARY_DIR)
    list(APPEND CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS "${folder}")
endforeach()
set(CPACK_DEBIAN_LIBBEDS-DEV_PACKAGE_SHLIBDEPS OFF)

set(CPACK_COMPONENT_LIBBEDS_DESCRIPTION "Back End Data System: library
 Data access through RabbitMQ, checked against templates: documents,
 definitions for the database, the protocol, and shared libraries.")
set(CPACK_COMPONENT_LIBBEDS-DEV_DESCRIPTION "Back End Data System: headers and CMake package
 For programs that embed a node or call a BEDS service.")
set(CPACK_COMPONENT_BEDSD_DESCRIPTION "Back End Data System: node and command line
 bedsd takes requests from RabbitMQ, checks them against templates and runs
 them on MariaDB and MongoDB; bedsctl asks a service.")
set(CPACK_DEBIAN_LIBBEDS-DEV_PACKAGE_DEPENDS
    "libbeds (= ${beds_VERSION}), librabbitmq-dev, libssl-dev, libboost-json1.81-dev, libboost1.81-dev")
set(CPACK_DEBIAN_LIBBEDS-DEV_PACKAGE_RECOMMENDS "libmariadb-dev, libmongoc-dev, prometheus-cpp-dev")
set(CPACK_DEBIAN_BEDSD_PACKAGE_DEPENDS
    "libbeds (= ${beds_VERSION}), systemd | systemd-sysusers")
set(CPACK_DEBIAN_BEDSD_PACKAGE_SUGGESTS "rabbitmq-server, mariadb-server")
set(CPACK_DEBIAN_BEDSD_PACKAGE_CONTROL_EXTRA
    "${CMAKE_CURRENT_LIST_DIR}/deb/postinst;${CMAKE_CURRENT_LIST_DIR}/deb/prerm;${CMAKE_CURRENT_LIST_DIR}/deb/postrm")
set(CPACK_DEBIAN_BEDSD_PACKAGE_CONTROL_STRICT_PERMISSION TRUE)

# Debian wants manual pages and changelogs compressed.
set(CPACK_PRE_BUILD_SCRIPTS "${CMAKE_CURRENT_LIST_DIR}/deb/compress.cmake")

include(CPack)
