# Writes OUTPUT: the bytes of INPUT as a C++ string_view named NAME in lockstep::launch.
file(READ ${INPUT} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "((0x..,){24})" "\\1\n" bytes "${bytes}")
file(WRITE ${OUTPUT}
  "#include <string_view>\n\nnamespace lockstep::launch {\nstatic const unsigned char kBytes[] = {\n${bytes}};\n"
  "extern const std::string_view ${NAME};\n"
  "const std::string_view ${NAME}(reinterpret_cast<const char*>(kBytes), sizeof(kBytes));\n"
  "}  // namespace lockstep::launch\n")
