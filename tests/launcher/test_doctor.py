from lib.launcher import doctor
from lib.models import mamba_scan


def test_missing_mamba_kernels_come_with_the_way_to_install_them(monkeypatch):
    monkeypatch.setattr(mamba_scan, "missing_kernels", lambda: ["mamba_ssm"])
    finding = doctor._mamba_kernels()
    assert (finding.level, finding.remedy) == ("warn", mamba_scan.REMEDY)
    assert "mamba_ssm missing" in finding.what
    monkeypatch.setattr(mamba_scan, "missing_kernels", list)
    assert doctor._mamba_kernels().level == "ok"
