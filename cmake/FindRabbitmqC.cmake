# RabbitmqC::RabbitmqC: the C client library of RabbitMQ, from its CMake package, else by pkg-config,
# else by looking for it. Headers lie in the include directory itself (up to 0.12) or in the folder
# rabbitmq-c (from 0.13 on); the sources ask with __has_include. Its TLS is OpenSSL's, which comes along.
find_package(rabbitmq-c CONFIG QUIET)
# The packages of 0.11 and older name the library and forget the include directory.
find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
    pkg_check_modules(PC_RabbitmqC QUIET librabbitmq)
endif()
find_path(RabbitmqC_INCLUDE_DIR NAMES rabbitmq-c/amqp.h amqp.h HINTS ${PC_RabbitmqC_INCLUDE_DIRS})
set(RabbitmqC_VERSION "${rabbitmq-c_VERSION}")
if(NOT RabbitmqC_VERSION)
    set(RabbitmqC_VERSION "${PC_RabbitmqC_VERSION}")
endif()

if(TARGET rabbitmq::rabbitmq)
    set(RabbitmqC_LIBRARY rabbitmq::rabbitmq)
elseif(TARGET rabbitmq::rabbitmq-static)
    set(RabbitmqC_LIBRARY rabbitmq::rabbitmq-static)
else()
    find_library(RabbitmqC_LIBRARY NAMES rabbitmq HINTS ${PC_RabbitmqC_LIBRARY_DIRS})
endif()

find_package(OpenSSL QUIET)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(RabbitmqC
    REQUIRED_VARS RabbitmqC_LIBRARY RabbitmqC_INCLUDE_DIR OPENSSL_FOUND
    VERSION_VAR RabbitmqC_VERSION
    REASON_FAILURE_MESSAGE "on Debian: apt-get install librabbitmq-dev libssl-dev")

if(RabbitmqC_FOUND AND NOT TARGET RabbitmqC::RabbitmqC)
    add_library(RabbitmqC::RabbitmqC INTERFACE IMPORTED)
    set_target_properties(RabbitmqC::RabbitmqC PROPERTIES
        INTERFACE_INCLUDE_DIRECTORIES "${RabbitmqC_INCLUDE_DIR}"
        INTERFACE_LINK_LIBRARIES "${RabbitmqC_LIBRARY};OpenSSL::SSL")
endif()
mark_as_advanced(RabbitmqC_INCLUDE_DIR RabbitmqC_LIBRARY)
