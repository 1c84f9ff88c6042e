# The build hash depends on sources, compiler and flags, and on nothing else; its file is rewritten only when it
# changes. cmake -DSCRIPT=build_info.cmake -DWORK=FOLDER -P build_hash_test.cmake

function(hash_of tree build flags result)
  execute_process(
    COMMAND ${CMAKE_COMMAND} -DSOURCE_DIR=${tree} -DOUTPUT=${build}/build_info.cc -DDEPFILE=${build}/build_info.d
    -DVERSION=1.2.3
            "-DCOMPILER=GNU 12" "-DFLAGS=${flags}" -P ${SCRIPT}
    COMMAND_ERROR_IS_FATAL ANY)
  file(READ ${build}/build_info.cc text)
  if(NOT text MATCHES "BuildHash\\(\\) { return \"([0-9a-f]+)\"")
    message(FATAL_ERROR "no hash in ${text}")
  endif()
  set(${result} ${CMAKE_MATCH_1} PARENT_SCOPE)
endfunction()

function(expect_same what a b)
  if(NOT a STREQUAL b)
    message(FATAL_ERROR "${what}: ${a} and ${b} differ")
  endif()
endfunction()

function(expect_other what a b)
  if(a STREQUAL b)
    message(FATAL_ERROR "${what}: the hash stayed ${a}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
foreach(tree one two)
  file(WRITE ${WORK}/${tree}/base/a.cc "int a = 1;  // \"@quoted@\"\n")
  file(WRITE ${WORK}/${tree}/trainer/graph/b.h "int b;\n")
  file(WRITE ${WORK}/${tree}/tests/t.cc "a test is no part of the program\n")
endforeach()

hash_of(${WORK}/one ${WORK}/build-1 "-O3 \"x\"" first)
hash_of(${WORK}/one ${WORK}/build-2 "-O3 \"x\"" hash)
expect_same("another build folder" ${first} ${hash})
hash_of(${WORK}/two ${WORK}/build-3 "-O3 \"x\"" hash)
expect_same("another checkout" ${first} ${hash})
file(APPEND ${WORK}/two/tests/t.cc "changed\n")
file(WRITE ${WORK}/two/base/README.md "words\n")
hash_of(${WORK}/two ${WORK}/build-3 "-O3 \"x\"" hash)
expect_same("a changed test" ${first} ${hash})

hash_of(${WORK}/two ${WORK}/build-4 "-O2" hash)
expect_other("other flags" ${first} ${hash})
file(APPEND ${WORK}/two/trainer/graph/b.h "\n")
hash_of(${WORK}/two ${WORK}/build-3 "-O3 \"x\"" changed)
expect_other("a changed source" ${first} ${changed})
file(WRITE ${WORK}/two/launch/new.proto "")
hash_of(${WORK}/two ${WORK}/build-3 "-O3 \"x\"" hash)
expect_other("a new source" ${changed} ${hash})

file(READ ${WORK}/build-3/build_info.d depfile)
foreach(path base/a.cc trainer/graph/b.h launch/new.proto trainer/graph)
  string(FIND "${depfile}" "${WORK}/two/${path}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "${path} is not in the depfile:\n${depfile}")
  endif()
endforeach()

# Backdated, so that a rewrite within the same second shows.
execute_process(COMMAND touch -d @1000000000 ${WORK}/build-1/build_info.cc COMMAND_ERROR_IS_FATAL ANY)
hash_of(${WORK}/one ${WORK}/build-1 "-O3 \"x\"" hash)
file(TIMESTAMP ${WORK}/build-1/build_info.cc written "%s" UTC)
expect_same("an unchanged file's time" ${written} 1000000000)
