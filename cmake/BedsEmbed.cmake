# beds_embed_text(OUT NAMESPACE NAME FILE [NAME FILE]...)
#   Writes a source file into the build with `const std::string_view NAME` in NAMESPACE for the text of
#   each FILE, and puts its path into OUT. Changing a FILE makes it anew.
function(beds_embed_text out namespace)
    set(source "#include <string_view>\n\nnamespace ${namespace} {\n\n")
    set(arguments ${ARGN})
    while(arguments)
        list(POP_FRONT arguments name file)
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
        file(READ "${file}" text)
        string(APPEND source
            "extern const std::string_view ${name};\n"
            "const std::string_view ${name} = R\"beds_text(${text})beds_text\";\n\n")
    endwhile()
    string(APPEND source "} // namespace ${namespace}\n")
    set(path "${CMAKE_CURRENT_BINARY_DIR}/embedded_text.cpp")
    file(CONFIGURE OUTPUT "${path}" CONTENT "@source@" @ONLY)
    set(${out} "${path}" PARENT_SCOPE)
endfunction()
