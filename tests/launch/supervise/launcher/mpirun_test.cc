// Command lines of launchers, hosts, and what launchers say.
#include "launch/supervise/launcher/mpirun.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "base/error.h"
#include "launch/supervise/launcher/rank_environment.h"
#include "launch/supervise/launcher_output.h"
#include "launch/supervise/start_cause.h"

namespace lockstep::launch {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// --- versions and command lines

TEST(Mpirun, VersionsAreRead) {
  const MpirunVersion four =
      ParseMpirunVersion("mpirun (Open MPI) 4.1.4\n\nReport bugs to http://www.open-mpi.org/community/help/\n");
  EXPECT_EQ(four.kind, MpirunVersion::kOpenMpi);
  EXPECT_EQ(four.major, 4);
  EXPECT_EQ(four.minor, 1);
  EXPECT_EQ(ParseMpirunVersion("mpirun (Open MPI) 5.0.11\n").major, 5);
  EXPECT_EQ(ParseMpirunVersion("prterun (PRRTE) 3.0.5\n").major, 5);
  EXPECT_EQ(ParseMpirunVersion("HYDRA build details:\n    Version:                                 4.0.2\n").kind,
            MpirunVersion::kHydra);
  EXPECT_EQ(ParseMpirunVersion("Intel(R) MPI Library for Linux* OS, Version 2021.8\n").kind, MpirunVersion::kHydra);
  EXPECT_EQ(ParseMpirunVersion("").kind, MpirunVersion::kUnknown);
}

TEST(Mpirun, HydrasCodesOfSignalsAreToldFromRanksCodes) {
  const MpirunVersion hydra{MpirunVersion::kHydra, 0, 0}, open_mpi{MpirunVersion::kOpenMpi, 4, 1};
  EXPECT_EQ(ShellsCode(hydra, 9), 137);
  EXPECT_EQ(ShellsCode(hydra, 11), 139);
  for (const int code : {0, 1, 2, 3, 4, 5, 6, 75, 255}) EXPECT_EQ(ShellsCode(hydra, code), code);
  EXPECT_EQ(ShellsCode(open_mpi, 9), 9);
}

TEST(Mpirun, OneMachineMayHaveMoreRanksThanCores) {
  RankLaunch launch;
  launch.ranks = 4;
  launch.program = {"lockstep", "train", "r"};
  EXPECT_EQ(Joined(MpirunCommand({MpirunVersion::kOpenMpi, 4, 1}, launch)),
            "mpirun -n 4 --bind-to none --mca odls_base_sigkill_timeout 0 --mca orte_abort_print_stack 0 "
            "--oversubscribe lockstep train r");
  EXPECT_EQ(
      Joined(MpirunCommand({MpirunVersion::kOpenMpi, 5, 0}, launch)),
      "mpirun -n 4 --bind-to none --prtemca odls_base_sigkill_timeout 0 --map-by slot:oversubscribe lockstep train r");
  EXPECT_EQ(Joined(MpirunCommand({MpirunVersion::kHydra, 0, 0}, launch)), "mpirun -n 4 lockstep train r");
  EXPECT_EQ(Joined(MpirunCommand({}, launch)), "mpirun -n 4 lockstep train r");
  launch.in_allocation = true;  // the batch system says how many fit
  EXPECT_THAT(MpirunCommand({MpirunVersion::kOpenMpi, 4, 1}, launch), Not(Contains("--oversubscribe")));
}

TEST(Mpirun, SeveralHostsAreWatched) {
  RankLaunch launch;
  launch.ranks = 3;
  launch.hosts = {{"h1", 2}, {"h2", 1, "me"}};
  launch.agent = "/opt/agent";
  launch.exported = {"LOCKSTEP_JOB"};
  launch.program = {"lockstep"};
  EXPECT_THAT(Joined(MpirunCommand({MpirunVersion::kOpenMpi, 4, 1}, launch)),
              AllOf(HasSubstr(" --host h1:2,me@h2:1 "), HasSubstr(" --mca oob_tcp_keepalive_time 5 "),
                    HasSubstr(" --mca plm_rsh_agent /opt/agent "), HasSubstr(" -x LOCKSTEP_JOB "),
                    Not(HasSubstr("--oversubscribe"))));
  EXPECT_THAT(Joined(MpirunCommand({MpirunVersion::kOpenMpi, 5, 0}, launch)),
              AllOf(HasSubstr(" --host h1:2,me@h2:1 "), HasSubstr(" --prtemca plm_ssh_agent /opt/agent "),
                    Not(HasSubstr("--mca "))));
  EXPECT_EQ(Joined(SrunCommand(launch)), "srun --mpi=pmix --kill-on-bad-exit=1 -n 3 -w h1,h2 lockstep");
}

TEST(Mpirun, PatienceWithASilentHostFollowsTheWatchdogs) {
  RankLaunch launch;
  launch.hosts = {{"h1", 1}, {"h2", 1}};
  const std::pair<int, std::string> cases[] = {{4, "1"}, {60, "5"}, {240, "20"}};
  for (const auto& [timeout, each] : cases) {
    launch.patience = std::chrono::seconds(timeout);
    const std::string command = Joined(MpirunCommand({MpirunVersion::kOpenMpi, 4, 1}, launch));
    EXPECT_THAT(command, HasSubstr(" --mca oob_tcp_keepalive_time " + each + " "));
    EXPECT_THAT(command, HasSubstr(" --mca oob_tcp_keepalive_intvl " + each + " "));
  }
}

// --- hosts

TEST(Hosts, ListsAndFilesAreRead) {
  EXPECT_THAT(ParseHosts("a,b:4"), ElementsAre(Host{"a", 0}, Host{"b", 4}));
  EXPECT_THAT(ParseHosts("me@a:2,b"), ElementsAre(Host{"a", 2, "me"}, Host{"b", 0}));
  EXPECT_THAT(ParseHosts("a,a"), ElementsAre(Host{"a", 2}));
  EXPECT_THAT(ParseHosts("a.site:2,b,a"), ElementsAre(Host{"a.site", 3}, Host{"b", 0}));
}

TEST(Hosts, NonsenseIsNamed) {
  for (const char* list : {"", "a b", "a:x", "a:0", "-oProxyCommand=x", "a;b", "@a", "me@", "me@-a", "fe80::1", "+n1"})
    EXPECT_THROW(ParseHosts(list), Error) << list;
}

TEST(Hosts, RanksAreSharedOutAndDealt) {
  std::vector<Host> hosts = {{"a", 0}, {"b", 0}, {"c", 1}};
  FillSlots(hosts, 6);
  EXPECT_THAT(hosts, ElementsAre(Host{"a", 3}, Host{"b", 3}, Host{"c", 1}));
  EXPECT_THAT(DealRanks(hosts, 4), ElementsAre(Host{"a", 3}, Host{"b", 1}));
}

TEST(Hosts, TheAgentsWordsAreKept) {
  setenv("LOCKSTEP_RSH_AGENT", "/opt/agent -q : rsh", 1);
  EXPECT_THAT(RemoteShell(), ElementsAre("/opt/agent", "-q"));
  unsetenv("LOCKSTEP_RSH_AGENT");
  EXPECT_THAT(RemoteShell(), AllOf(Contains("ssh"), Contains("BatchMode=yes")));  // nobody is there to type a password
}

// --- what launchers say

constexpr char kEdge[] = "--------------------------------------------------------------------------\n";
constexpr char kNoticed[] = "mpirun noticed that process rank 1 with PID 0 on node h2 exited on signal 9 (Killed).\n";

TEST(LauncherOutput, BoxesAreKeptBackAndRanksAreHeard) {
  LauncherOutput output;
  std::string shown = output.Add(std::string("note: resuming\nstep 45  epoch 1.00\n") + kEdge +
                                 "Primary job  terminated normally, but 1 process returned\n" + "lockstep: error: x\n" +
                                 "a non-zero exit code.\n" + kEdge + kEdge + kNoticed + kEdge + "warning: late\n");
  shown += output.Finish();
  EXPECT_EQ(shown, "note: resuming\nstep 45  epoch 1.00\nlockstep: error: x\nwarning: late\n");
  EXPECT_TRUE(output.error_seen());
  EXPECT_THAT(output.launcher_text(), AllOf(HasSubstr("Primary job"), HasSubstr("noticed")));
}

TEST(LauncherOutput, HoweverTheBytesCome) {
  const std::string said =
      std::string("note: a\n") + kEdge + kNoticed + kEdge +
      "mpirun: Forwarding signal 10 to job\nlockstep: error: b\n" +
      "[vm:123] 1 more process has sent help message help-mpi-api.txt\n[vm:123] [[304,0],0] ORTE_ERROR_LOG: Data "
      "unpack in file show_help.c\n[vm:123] *** Process received signal ***\n";
  for (size_t part : {1, 2, 3, 7, 1000}) {
    LauncherOutput output;
    std::string shown;
    for (size_t at = 0; at < said.size(); at += part) shown += output.Add(said.substr(at, part));
    shown += output.Finish();
    EXPECT_EQ(shown, "note: a\nlockstep: error: b\n[vm:123] *** Process received signal ***\n") << part;
    EXPECT_TRUE(output.error_seen());
  }
}

TEST(LauncherOutput, RemarksOfOpenMpisPartsAreKeptBack) {
  for (const char* line :
       {"[vm:123] [[304,0],0] ORTE_ERROR_LOG: Data unpack would read past end of buffer in file util/show_help.c at "
        "line 501",
        "[vm:123] [[304,1],2] ORTE_ERROR_LOG: Unreachable in file pml_ob1.c at line 7",
        "[vm:123] PMIX ERROR: UNREACHABLE in file server/pmix_server.c at line 2198",
        "[vm:123] OPAL ERROR: Unreachable in file ext3x_client.c at line 112",
        "[vm][[49317,1],1][btl_tcp_frag.c:241:mca_btl_tcp_frag_recv] mca_btl_tcp_frag_recv: readv failed: Connection "
        "reset by peer (104)",
        "[vm:123] mca_base_component_repository_open: unable to open mca_pmix_x: not found (ignored)",
        "[vm:123] plm:rsh: Warning: setpgid(1,2) failed"}) {
    LauncherOutput output;
    EXPECT_EQ(output.Add(std::string(line) + "\n") + output.Finish(), "") << line;
    EXPECT_THAT(output.launcher_text(), HasSubstr(line));
  }
  for (const char* line : {"[vm:123] Signal: Segmentation fault (11)", "[vm:123] [ 0] /lib/libc.so.6(+0x3c050)[0x7f]",
                           "[vm:123] *** An error occurred in MPI_Send", "[1, 2] more"}) {
    LauncherOutput output;
    EXPECT_EQ(output.Add(std::string(line) + "\n") + output.Finish(), std::string(line) + "\n");
  }
}

TEST(LauncherOutput, ThatRanksHaveJoinedIsHeardAndNotShown) {
  const std::string said = "a module warns\n" + std::string(kJoinedLine) + "\nnote: b\n";
  for (size_t part : {1, 3, 1000}) {
    LauncherOutput output;
    std::string shown;
    for (size_t at = 0; at < said.size(); at += part) shown += output.Add(said.substr(at, part));
    EXPECT_EQ(shown, "a module warns\nnote: b\n");
    EXPECT_TRUE(output.joined());
    EXPECT_THAT(output.early_text(), HasSubstr("a module warns\n"));
  }
  LauncherOutput tagged;  // mpirun --tag-output
  EXPECT_EQ(tagged.Add("[1,0]<stderr>:" + std::string(kJoinedLine) + "\n"), "");
  EXPECT_TRUE(tagged.joined());
}

TEST(LauncherText, TroubleIsToldFromWarnings) {
  const std::string edge = kEdge;
  EXPECT_TRUE(SaysTrouble("[vm:1] [[27090,0],0] ORTE_ERROR_LOG: The system limit on number of pipes"));
  EXPECT_TRUE(SaysTrouble(edge + "There are not enough slots available in the system\n" + edge));
  EXPECT_TRUE(SaysTrouble("[mpiexec@h] HYDU_create_process: execvp error on file x (No such file or directory)\n"));
  EXPECT_FALSE(SaysTrouble("note: h1: 2 ranks\nPMI: starting\n"));
  EXPECT_FALSE(SaysTrouble(edge + "WARNING: There was an error initializing an OpenFabrics device.\n" + edge));
}

TEST(LauncherOutput, ABarIsShownAtOnce) {
  LauncherOutput output;
  EXPECT_EQ(output.Add("\r[##..] step 1\x1b[K"), "\r[##..] step 1\x1b[K");
  EXPECT_TRUE(output.mid_line());
  EXPECT_EQ(output.Add(std::string(kEdge) + kNoticed), "");
  EXPECT_EQ(output.Add("some library says\n"), "");  // inside of the box
  EXPECT_EQ(output.Add(kEdge), "");
  EXPECT_EQ(output.Add("terminate called"), "terminate called");
}

TEST(LauncherOutput, ABoxThatNeverClosesEnds) {
  LauncherOutput output;
  std::string shown = output.Add(kEdge);
  for (int i = 0; i < 100; ++i) shown += output.Add("line\n");
  EXPECT_THAT(shown, HasSubstr("line\nline\n"));
}

TEST(LauncherText, TellsWhoDied) {
  const LauncherEvents four = ReadLauncherText(kNoticed);
  EXPECT_EQ(four.rank, 1);
  EXPECT_EQ(four.host, "h2");
  EXPECT_EQ(four.signal, 9);
  const LauncherEvents five = ReadLauncherText(
      "prterun noticed that process rank 3 with PID 0 on node vm exited on\nsignal 11 (Segmentation fault).\n");
  EXPECT_EQ(five.rank, 3);
  EXPECT_EQ(five.signal, 11);
  const LauncherEvents srun =
      ReadLauncherText("srun: error: n2: task 1: Killed\nsrun: launch/slurm: _step_signal: Terminating StepId=3.0\n");
  EXPECT_EQ(srun.rank, 1);
  EXPECT_EQ(srun.host, "n2");
  EXPECT_EQ(srun.signal, 9);
  EXPECT_TRUE(ReadLauncherText("slurmstepd: error: Detected 1 oom_kill event in StepId=3.0\n").out_of_memory);
  EXPECT_FALSE(ReadLauncherText("").rank.has_value());
}

StartCause CauseOfCode(int code, bool joined = true) {
  StartFacts facts;
  facts.code = code;
  facts.launcher = "mpirun";
  facts.this_host = "h0";
  facts.joined = joined;
  return CauseOf(facts);
}

TEST(StartReport, ALaunchersOwnCodesAreNoSignals) {
  EXPECT_EQ(CauseOfCode(132).sentence, "mpirun ended with exit code 132");
  EXPECT_EQ(CauseOfCode(132).name, "failed mpirun");
  EXPECT_EQ(CauseOfCode(213).sentence, "mpirun ended with exit code 213");
  EXPECT_EQ(CauseOfCode(137).sentence, "a rank was ended (signal 9, Killed)");
  EXPECT_EQ(CauseOfCode(1, false).sentence, "mpirun ended with exit code 1 before its ranks had found each other");
  EXPECT_EQ(CauseOfCode(1).sentence, "a rank ended with exit code 1");
}

TEST(StartReport, ALauncherThatHungIsNamed) {
  StartFacts facts;
  facts.code = 6;
  facts.launcher = "mpirun";
  facts.waited = 60.2;
  EXPECT_EQ(CauseOf(facts).name, "hung mpirun");
  EXPECT_EQ(CauseOf(facts).sentence, "mpirun had not brought its ranks together after 60 s");
}

TEST(StartReport, NamesTheFirstCause) {
  StartFacts facts;
  facts.code = 137;
  facts.launcher = "mpirun";
  facts.this_host = "h0";
  facts.events = ReadLauncherText(kNoticed);
  facts.ending = records::AttemptEnding{1, ErrorKind::kPeer, 6, "MPI_Isend failed: no route", "rank 0 on h1", 10, ""};
  EXPECT_EQ(CauseOf(facts).name, "killed rank");
  EXPECT_EQ(CauseOf(facts).host, "h2");
  EXPECT_THAT(CauseOf(facts).sentence, HasSubstr("rank 1 on h2 was killed"));
  facts.events = {};
  EXPECT_EQ(CauseOf(facts).name, "failed peer");
  EXPECT_EQ(CauseOf(facts).host, "h1");
  facts.ending->where = "";
  for (const char* watchdogs :
       {"rank 3 on h2 has not entered exchange 4711 of step 310", "rank 3 on h2 is stuck loading batch in step 310",
        "rank 3 on h2 has given no sign of life for 70 s"}) {
    facts.ending->message = watchdogs;
    EXPECT_EQ(CauseOf(facts).name, "hang");
    EXPECT_EQ(CauseOf(facts).host, "h2");
  }
  facts.ending->where = "rank 3 on h2";  // said once
  EXPECT_EQ(CauseOf(facts).sentence, "rank 3 on h2 has given no sign of life for 70 s");
  facts.ending->message = "the weights in memory changed between steps 5 and 6, in fc1.weight";
  EXPECT_EQ(CauseOf(facts).name, "memory");
  EXPECT_EQ(CauseOf(facts).sentence,
            "rank 3 on h2: the weights in memory changed between steps 5 and 6, in fc1.weight");
  facts.ending->message = "all ranks are in exchange 17: the network between h1 and h2 no longer delivers";
  facts.ending->where = "rank 0 on h1";  // who says it is not to blame
  EXPECT_EQ(CauseOf(facts).name, "network");
  EXPECT_EQ(CauseOf(facts).host, "");
  facts.ending->message = "rank 2 on h3 still waits in exchange 17: what was sent there has not arrived";
  facts.ending->where = "rank 2 on h3";
  EXPECT_EQ(CauseOf(facts).name, "network");
  EXPECT_EQ(CauseOf(facts).sentence, facts.ending->message);
  facts.not_done = true;
  EXPECT_EQ(CauseOf(facts).name, "false start");
  facts.lost_host = "h3";
  EXPECT_EQ(CauseOf(facts).name, "lost host");
  facts.lost_host = "";
  facts.launcher_signal = 9;
  EXPECT_EQ(CauseOf(facts).name, "killed mpirun");
  EXPECT_EQ(CauseOf(facts).host, "h0");
}

}  // namespace
}  // namespace lockstep::launch
