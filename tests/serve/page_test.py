#!/usr/bin/env python3
"""The files of the page as a browser gets them.

page_test.py HEARTH
"""
import gzip
import re
import sys
import unittest

from program import Program

HEARTH = sys.argv.pop()
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Encoding": "gzip, deflate, br"}


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Program(HEARTH)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def test_only_browsers_get_it_at_the_root(self):
        for accept in ({}, {"Accept": "*/*"}, {"Accept": "application/json, text/plain"}):
            self.assertEqual(self.server.request("GET", "/", headers=accept)[2], b"Ollama is running")
        status, headers, body = self.server.request("GET", "/", headers=BROWSER)
        self.assertEqual((status, headers["Content-Encoding"]), (200, "gzip"))
        self.assertIn("Accept", headers["Vary"])
        self.assertIn(b"<title>hearth</title>", gzip.decompress(body))

    def test_every_file_that_it_names_is_there(self):
        page = gzip.decompress(self.server.request("GET", "/", headers=BROWSER)[2]).decode()
        self.assertNotRegex(page, r"(src|href)=\"(https?:)?//")
        types = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
        for name in re.findall(r'(?:src|href)="\./(assets/[^"]+)"', page):
            status, headers, packed = self.server.request("GET", "/" + name, headers={"Accept-Encoding": "gzip"})
            self.assertEqual(status, 200, name)
            self.assertTrue(headers["Content-Type"].startswith(types[name.rsplit(".", 1)[1]]), name)
            self.assertIn("immutable", headers["Cache-Control"])
            for refusal in ({}, {"Accept-Encoding": "br, gzip;q=0"}):
                _, headers, plain = self.server.request("GET", "/" + name, headers=refusal)
                self.assertIsNone(headers["Content-Encoding"])
                self.assertEqual(plain, gzip.decompress(packed), name)

    def test_it_is_sent_once_and_may_do_nothing_elsewhere(self):
        _, headers, _ = self.server.request("GET", "/", headers=BROWSER)
        again = self.server.request("GET", "/", headers=BROWSER | {"If-None-Match": headers["ETag"]})
        self.assertEqual((again[0], again[2]), (304, b""))
        other = self.server.request("GET", "/", headers=BROWSER | {"If-None-Match": '"another"'})
        self.assertEqual(other[0], 200)
        policy = headers["Content-Security-Policy"]
        self.assertIn("default-src 'none'", policy)
        self.assertNotRegex(policy, r"unsafe|https?:|\*")
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")

    def test_it_needs_no_key_but_its_figures_do(self):
        foreign = {"X-Forwarded-For": "192.0.2.7"}  # so that it is not this machine that asks
        self.assertEqual(self.server.request("GET", "/", headers=BROWSER | foreign)[0], 200)
        self.assertEqual(self.server.request("GET", "/metrics", headers=foreign)[0], 401)


if __name__ == "__main__":
    unittest.main()
