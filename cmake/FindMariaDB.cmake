# Finds MariaDB Connector/C and defines the imported target MariaDB::connector.
#
#   MariaDB_FOUND  MariaDB_VERSION (of Connector/C)  MariaDB_INCLUDE_DIR  MariaDB_LIBRARY
find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
    pkg_check_modules(PC_MariaDB QUIET libmariadb)
endif()
find_path(MariaDB_INCLUDE_DIR mysql.h
    HINTS ${PC_MariaDB_INCLUDE_DIRS} PATH_SUFFIXES mariadb)
find_library(MariaDB_LIBRARY NAMES mariadb HINTS ${PC_MariaDB_LIBRARY_DIRS})
if(MariaDB_INCLUDE_DIR AND EXISTS "${MariaDB_INCLUDE_DIR}/mariadb_version.h")
    file(STRINGS "${MariaDB_INCLUDE_DIR}/mariadb_version.h" line
        REGEX "#define[ \t]+MARIADB_PACKAGE_VERSION[ \t]+\"")
    string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" MariaDB_VERSION "${line}")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(MariaDB
    REQUIRED_VARS MariaDB_LIBRARY MariaDB_INCLUDE_DIR
    VERSION_VAR MariaDB_VERSION)
if(MariaDB_FOUND AND NOT TARGET MariaDB::connector)
    add_library(MariaDB::connector UNKNOWN IMPORTED)
    set_target_properties(MariaDB::connector PROPERTIES
        IMPORTED_LOCATION "${MariaDB_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${MariaDB_INCLUDE_DIR}")
endif()
mark_as_advanced(MariaDB_INCLUDE_DIR MariaDB_LIBRARY)
