# beds_add_library(NAME SOURCES ... HEADERS ... [PUBLIC_LINK ...] [PRIVATE_LINK ...] [COMPONENT name])
#
# One room of the house: a library target beds_NAME with the alias beds::NAME.
# HEADERS are relative to libbeds/include and are installed; nothing else is public.
function(beds_add_library name)
    cmake_parse_arguments(arg "" "COMPONENT" "SOURCES;HEADERS;PUBLIC_LINK;PRIVATE_LINK" ${ARGN})
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "beds_add_library(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
    endif()
    set(target beds_${name})
    add_library(${target} ${arg_SOURCES})
    add_library(beds::${name} ALIAS ${target})
    set(headers ${arg_HEADERS})
    list(TRANSFORM headers PREPEND "${BEDS_INCLUDE_DIR}/")
    target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS "${BEDS_INCLUDE_DIR}" FILES ${headers})
    target_include_directories(${target} PRIVATE "${BEDS_SOURCE_DIR}")
    target_compile_features(${target} PUBLIC cxx_std_20)
    target_link_libraries(${target}
        PUBLIC ${arg_PUBLIC_LINK}
        PRIVATE ${arg_PRIVATE_LINK} $<BUILD_INTERFACE:beds_warnings> $<BUILD_INTERFACE:beds_sanitizers>)
    set_target_properties(${target} PROPERTIES
        EXPORT_NAME ${name}
        OUTPUT_NAME beds_${name}
        POSITION_INDEPENDENT_CODE ON
        VERSION ${beds_VERSION}
        SOVERSION ${beds_VERSION_MAJOR})
    set_property(GLOBAL APPEND PROPERTY BEDS_LIBRARIES ${target})
    set_property(GLOBAL APPEND PROPERTY BEDS_PUBLIC_HEADERS ${arg_HEADERS})
    install(TARGETS ${target} EXPORT bedsTargets
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
endfunction()
