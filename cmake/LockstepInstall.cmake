# What `cmake --install` brings beside the program: the schema of recipes, examples, documentation, and what the program
# says of itself: its manual page and what completes it in shells.
include(GNUInstallDirs)

file(GLOB_RECURSE protos RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS
     base/*.proto comm/*.proto data/*.proto launch/*.proto trainer/*.proto)
foreach(proto ${protos})
  get_filename_component(folder ${proto} DIRECTORY)
  install(FILES ${proto} DESTINATION ${CMAKE_INSTALL_DATADIR}/lockstep/proto/${folder})
endforeach()
install(DIRECTORY examples DESTINATION ${CMAKE_INSTALL_DATADIR}/lockstep)
install(FILES README.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR})

# The program writes these itself, when it is installed: a build for another machine can't run it and goes without.
function(lockstep_install_output arguments name destination)
  install(CODE "
    set(output \"${CMAKE_CURRENT_BINARY_DIR}/generated/${name}\")
    file(MAKE_DIRECTORY \"${CMAKE_CURRENT_BINARY_DIR}/generated\")
    execute_process(COMMAND \"$<TARGET_FILE:lockstep>\" ${arguments} OUTPUT_FILE \"\${output}\" RESULT_VARIABLE failed)
    if(failed)
      file(REMOVE \"\${output}\")
      message(WARNING \"lockstep ${arguments} can't be run here: there will be no ${name}\")
    endif()")
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/generated/${name} DESTINATION ${destination} OPTIONAL)
endfunction()
lockstep_install_output("help --man" lockstep.1 ${CMAKE_INSTALL_MANDIR}/man1)
lockstep_install_output("completion bash" lockstep ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
lockstep_install_output("completion zsh" _lockstep ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
lockstep_install_output("completion fish" lockstep.fish ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
