#!/usr/bin/env python3
"""command_pages_test.py HEARTH: tools/command-pages makes man pages and completions that have every command and option,
that their readers accept, and that complete what they should."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEARTH = os.path.abspath(sys.argv.pop())


class CommandPages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = cls.temporary.name
        cls.make(cls.folder + "/pages", SOURCE_DATE_EPOCH="86400")
        helps = subprocess.run([HEARTH, "--help"], capture_output=True, text=True, check=True).stdout
        cls.commands = re.findall(r"^  ([a-z]+) {2,}", helps[helps.index("Subcommands:"):], re.M)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    @staticmethod
    def make(folder, **environment):
        subprocess.run([os.path.join(ROOT, "tools", "command-pages"), HEARTH, folder], check=True,
                       env=os.environ | environment)

    def text(self, path):
        with open(os.path.join(self.folder, "pages", path)) as file:
            return file.read()

    def test_every_command_has_a_page_with_every_option(self):
        self.assertGreater(len(self.commands), 25)
        for command in self.commands:
            helps = subprocess.run([HEARTH, command, "--help"], capture_output=True, text=True, check=True).stdout
            page = self.text(f"man1/hearth-{command}.1")
            fish = self.text("fish/hearth.fish")
            bash = re.search(rf'^    {command}\) words="(.*)" ;;$', self.text("bash/hearth"), re.M)[1].split()
            zsh = self.text("zsh/_hearth")
            for option in re.findall(r"^  (?:-\w,)?--([a-z][a-z0-9-]*)", helps, re.M):
                self.assertIn(f"\\fB\\-\\-{option.replace('-', chr(92) + '-')}\\fR", page, command)
                self.assertRegex(fish, rf"from {command}' .*-l {option} ")
                self.assertIn("--" + option, bash)
                self.assertIn(f"'--{option}[", zsh)
        self.assertIn('"1970-01-02"', self.text("man1/hearth.1"))

    def test_the_same_program_makes_the_same_pages(self):
        self.make(self.folder + "/again", SOURCE_DATE_EPOCH="86400")
        done = subprocess.run(["diff", "-r", self.folder + "/pages", self.folder + "/again"], capture_output=True, text=True)
        self.assertEqual(done.stdout, "")

    def test_readers_accept_them(self):
        checks = [(["bash", "-n"], "bash/hearth"), (["zsh", "-n"], "zsh/_hearth"), (["fish", "-n"], "fish/hearth.fish")]
        if shutil.which("man") and shutil.which("groff"):
            checks += [(["groff", "-man", "-Tutf8", "-ww", "-z"], f"man1/hearth-{one}.1") for one in ("run", "key", "store")]
        for command, path in checks:
            if shutil.which(command[0]):
                done = subprocess.run([*command, os.path.join(self.folder, "pages", path)], capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stderr), (0, ""), path)

    def complete(self, *words):
        """What bash offers for the last of the words, with a server whose only model is one of Ollama's names."""
        fake = os.path.join(self.folder, "hearth")
        with open(fake, "w") as file:
            file.write("#!/bin/sh\nprintf 'NAME  ID\\nllama3.2:3b  abc\\nmistral:latest  def\\n'\n")
        os.chmod(fake, 0o755)
        script = ('source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _hearth; printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "-c", script, self.folder + "/pages/bash/hearth", *words], capture_output=True,
                              text=True, cwd=self.folder, env={"PATH": self.folder + ":" + os.environ["PATH"]})
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_bash_completes_commands_options_values_and_models(self):
        self.assertEqual(self.complete("hearth", "ser"), ["serve"])
        self.assertIn("--help", self.complete("hearth", "--"))
        self.assertEqual(self.complete("hearth", "run", "--exp"), ["--experts-last"])
        self.assertEqual(self.complete("hearth", "run", "--gpu", "re"), ["require"])
        self.assertEqual(self.complete("hearth", "run", "mis"), ["mistral:latest"])
        self.assertEqual(self.complete("hearth", "key", "re"), ["revoke"])
        self.assertEqual(self.complete("hearth", "serve", "--config", "pag"), ["pages"])
        self.assertEqual(self.complete("hearth", "serve", "--host", "x"), [])


if __name__ == "__main__":
    unittest.main()
