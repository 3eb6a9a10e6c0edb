# beds_add_library(NAME SOURCES ... HEADERS ... [PUBLIC_LINK ...] [PRIVATE_LINK ...])
#
# One room of the house: a library target beds_NAME with the alias beds::NAME, a component of the
# package of that name (BedsPackage.cmake installs it).
# HEADERS are relative to libbeds/include and are installed; nothing else is public.
function(beds_add_library name)
    cmake_parse_arguments(arg "" "" "SOURCES;HEADERS;PUBLIC_LINK;PRIVATE_LINK" ${ARGN})
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "beds_add_library(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
    endif()
    set(target beds_${name})
    add_library(${target} ${arg_SOURCES})
    target_include_directories(${target} PRIVATE "${BEDS_SOURCE_DIR}")
    target_compile_features(${target} PUBLIC cxx_std_20)
    target_link_libraries(${target}
        PUBLIC ${arg_PUBLIC_LINK}
        PRIVATE ${arg_PRIVATE_LINK} $<BUILD_INTERFACE:beds_warnings> $<BUILD_INTERFACE:beds_sanitizers>)
    set_target_properties(${target} PROPERTIES
        OUTPUT_NAME beds_${name}
        POSITION_INDEPENDENT_CODE ON
        VERSION ${beds_VERSION}
        SOVERSION ${beds_VERSION_MAJOR})
    if(NOT DEFINED CMAKE_INSTALL_RPATH)
        set_target_properties(${target} PROPERTIES INSTALL_RPATH "$ORIGIN")
    endif()
    beds_precompile(${target} library)
    _beds_register(${name} "${arg_HEADERS}" "${arg_PUBLIC_LINK};${arg_PRIVATE_LINK}" PUBLIC)
endfunction()

# beds_add_umbrella(NAME HEADERS ... LINK ...): a target without sources of its own that brings others.
function(beds_add_umbrella name)
    cmake_parse_arguments(arg "" "" "HEADERS;LINK" ${ARGN})
    add_library(beds_${name} INTERFACE)
    target_link_libraries(beds_${name} INTERFACE ${arg_LINK})
    _beds_register(${name} "${arg_HEADERS}" "${arg_LINK}" INTERFACE)
endfunction()

function(_beds_register name headers links scope)
    set(target beds_${name})
    add_library(beds::${name} ALIAS ${target})
    set_property(GLOBAL APPEND PROPERTY BEDS_PUBLIC_HEADERS ${headers})
    list(TRANSFORM headers PREPEND "${BEDS_INCLUDE_DIR}/")
    target_sources(${target} ${scope} FILE_SET HEADERS BASE_DIRS "${BEDS_INCLUDE_DIR}" FILES ${headers})
    set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
    # In the order in which rooms may depend on each other.
    set_property(GLOBAL APPEND PROPERTY BEDS_ROOMS ${name})
    set_property(GLOBAL PROPERTY BEDS_LINKS_${name} ${links})
endfunction()
