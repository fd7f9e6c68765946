# rgt_embed(<target> <symbol> <file>...): compiles text files into <target> as
#   namespace rgt { extern const std::span<const EmbeddedFile> <symbol>; }
# Paths are relative to the repository root. The sources are regenerated when a file changes.
function(rgt_embed target symbol)
  set(out "${CMAKE_CURRENT_BINARY_DIR}/${symbol}.cc")
  set(inputs)
  foreach(file IN LISTS ARGN)
    list(APPEND inputs "${PROJECT_SOURCE_DIR}/${file}")
  endforeach()
  string(REPLACE ";" "|" joined "${ARGN}")
  add_custom_command(
    OUTPUT "${out}"
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DSYMBOL=${symbol} "-DFILES=${joined}"
            -DROOT=${PROJECT_SOURCE_DIR} -P ${PROJECT_SOURCE_DIR}/cmake/EmbedScript.cmake
    DEPENDS ${inputs} ${PROJECT_SOURCE_DIR}/cmake/EmbedScript.cmake
    COMMENT "Embedding ${symbol}"
    VERBATIM)
  target_sources(${target} PRIVATE "${out}")
endfunction()
